"""What this server asks of telephony providers besides the media stream."""
