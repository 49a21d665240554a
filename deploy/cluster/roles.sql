-- The database of Raccord and its two roles, made once on the primary:
--
--   OWNER_PASSWORD=… SERVING_PASSWORD=… psql --host=/var/run/postgresql --username=postgres --file=roles.sql
--
-- `raccord_owner` owns the database, migrates it and gives `raccord` its rights at each start; `raccord`
-- serves, and can change neither the schema nor the history. The passwords stand in raccord.env.

\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv serving_password SERVING_PASSWORD

CREATE ROLE raccord_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE raccord LOGIN PASSWORD :'serving_password';
CREATE DATABASE raccord OWNER raccord_owner;
REVOKE ALL ON DATABASE raccord FROM PUBLIC;
GRANT CONNECT ON DATABASE raccord TO raccord;
