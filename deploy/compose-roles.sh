#!/bin/sh
# Runs once, when PostgreSQL's volume is new: the roles that the services log in with, each with no more rights than it needs.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" -U postgres -d orders <<'SQL'
CREATE ROLE onceward_participant NOLOGIN;
CREATE ROLE onceward_relay NOLOGIN;
CREATE ROLE onceward_console NOLOGIN;
CREATE ROLE service LOGIN PASSWORD :'password' IN ROLE onceward_participant;
CREATE ROLE relay LOGIN PASSWORD :'password' IN ROLE onceward_relay;
CREATE ROLE console LOGIN PASSWORD :'password' IN ROLE onceward_console;
CREATE ROLE console_home LOGIN PASSWORD :'password';
CREATE DATABASE console OWNER console_home;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO service;
SQL
