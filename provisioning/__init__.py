"""The administrator's side: agency keys, the register of devices and officers, enrolment, policy, revocation."""
