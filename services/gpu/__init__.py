"""The GPU side: tensor-parallel groups that run everything but decode attention."""
