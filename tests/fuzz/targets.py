"""The names of all targets."""

TARGETS = (
    *("requests", "dhcp4", "dhcp6", "neighbours", "other_servers"),
    *("virtual_machine", "annotations", "domain_xml", "cloud_init", "resolv_conf"),
    "pod_annotations",
    *("state_files", "ipc", "netlink", "grpc_calls"),
)
