"""The machine around the sidecar: pods, virt-handler, virt-launcher, guests. Real things only.

Everything lives in network namespaces that are removed again; nothing needs a cluster.
"""
