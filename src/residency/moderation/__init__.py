"""Judges of what clients ask and models write: personal data, secrets, offence, a guard, the user's rules."""
