"""What every daemon needs: durable files, systemd notification and watchdog, structured logs."""
