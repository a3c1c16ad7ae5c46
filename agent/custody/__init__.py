"""Handing over, the device side: durable outbox, sending, receipts; and the wire format that both sides share."""
