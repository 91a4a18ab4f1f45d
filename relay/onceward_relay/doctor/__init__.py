"""Finds what is wrong with a participant's database and with Kafka, and says what to do. Changes nothing."""
