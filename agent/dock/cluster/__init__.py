"""Past one dock: the same intake as any number of workers on a NATS JetStream cluster, with an S3 bucket as archive."""
