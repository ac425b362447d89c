"""Programs of the flow that ``las workflows create-default`` makes: they know the API alone.

Each runs in a container of its own image, with the official client and nothing of the platform.
"""
