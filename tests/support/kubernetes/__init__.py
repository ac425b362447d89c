"""Stand-in for a Kubernetes cluster: an API server that judges what it is sent, and a node that runs it.

It knows what Pagemill uses: Jobs with one pod, Secrets, logs. Bodies are judged by schemas that Kubernetes
publishes, rights by the Role in deploy/kubernetes, pods by the standard that the namespace enforces.
"""
