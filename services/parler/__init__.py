"""AI4Bharat's Indic Parler, whoever serves it: its voices, its speech, and how it is spoken."""
