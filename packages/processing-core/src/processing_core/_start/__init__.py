"""Starting children: what they need to know, the start methods, and the child's side of each."""
