SELECT onceward.oldest_relay()
