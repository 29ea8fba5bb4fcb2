"""Tasks of τ²-bench, generator programs in their sandbox, and rollouts: conversations from tasks and personas."""
