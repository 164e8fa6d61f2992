"""Orders: what a channel sold or asks for, from placing to completion."""
