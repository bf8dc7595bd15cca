"""Side-by-side measurements that users can run themselves."""
