"""Create OTA modules for thousands of IoT products: signed, paced, resumable."""
