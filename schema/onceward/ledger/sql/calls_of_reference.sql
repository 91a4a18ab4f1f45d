SELECT c.id FROM onceward.call c WHERE c.provider = :provider AND left(c.provider_ref, 200) = left(:reference, 200) AND c.provider_ref = :reference
