"""relayd beside the proxies and gateways that package registries hold, side by side.

Law: as `bench`: loopback only, bounded in time, what is started here is ended here. Others'
programs are installed into a cache folder, pinned, through the registries' own clients; never
into the checkout.
"""
