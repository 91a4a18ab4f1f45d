SELECT onceward.wait_durable(%s, %s)
