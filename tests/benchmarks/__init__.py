"""The benchmarks on servers of their own, Debezium beside the relay, and the page that shows it all."""
