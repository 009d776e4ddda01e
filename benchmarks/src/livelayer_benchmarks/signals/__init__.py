"""Test signals: stamped video and beeps, what publishes and echoes them, what reads them back."""
