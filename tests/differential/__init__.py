"""The same requests to dsbridge, dnsmasq and Kea (radvd for RS): who differs, and why."""
