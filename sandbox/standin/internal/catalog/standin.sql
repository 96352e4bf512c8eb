-- What every database of a stand-in server holds beyond PostgreSQL's own catalog. Run once by initdb, in single-user
-- mode, in template1 and in postgres. Statements end with a semicolon and an empty line: the single-user backend
-- splits there.

CREATE EXTENSION postgres_fdw SCHEMA pg_catalog;

CREATE EXTENSION dblink SCHEMA pg_catalog;

CREATE SCHEMA dbms_lock;

CREATE SCHEMA dbms_output;

CREATE SCHEMA pg_standin;

-- pgxc_node is one list for all databases of a server. PostgreSQL lets nobody add a shared table, so its rows live as
-- JSON in the shared pg_shdescription under a class id that no catalog has: transactional, in the WAL, and therefore
-- in every standby and every copy.
CREATE VIEW pg_catalog.pgxc_node AS
SELECT (description::jsonb ->> 'name')::name         AS node_name,
       (description::jsonb ->> 'type')::"char"       AS node_type,
       (description::jsonb ->> 'port')::int          AS node_port,
       (description::jsonb ->> 'host')::name         AS node_host,
       (description::jsonb ->> 'primary')::bool      AS nodeis_primary,
       (description::jsonb ->> 'preferred')::bool    AS nodeis_preferred,
       (description::jsonb ->> 'gtm')::bool          AS nodeis_gtm,
       (description::jsonb ->> 'id')::int            AS node_id,
       (description::jsonb ->> 'master')::oid        AS node_master_oid
  FROM pg_catalog.pg_shdescription WHERE classoid = 1;

GRANT SELECT ON pg_catalog.pgxc_node TO PUBLIC;

-- AntDB's rows have a hidden oid. Statements that name it are led here.
CREATE VIEW pg_standin.pgxc_node AS
SELECT o.objoid AS oid, n.* FROM pg_catalog.pgxc_node n
  JOIN pg_catalog.pg_shdescription o ON o.classoid = 1 AND (o.description::jsonb ->> 'id')::int = n.node_id;

GRANT SELECT ON pg_standin.pgxc_node TO PUBLIC;

-- The oid of a row, for nodeoids and node_master_oid.
CREATE FUNCTION pg_catalog.standin_node_oid(node text) RETURNS oid STABLE LANGUAGE sql AS $$
  SELECT objoid FROM pg_catalog.pg_shdescription WHERE classoid = 1 AND description::jsonb ->> 'name' = node $$;

CREATE FUNCTION pg_catalog.pgxc_node_str() RETURNS name STABLE LANGUAGE sql AS $$
  SELECT current_setting('antdb.pgxc_node_name')::name $$;

-- The fronts read the list when they need it, so there is nothing to reload.
CREATE FUNCTION pg_catalog.pgxc_pool_reload() RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT true';

-- Checks the options of CREATE and ALTER NODE, given over what the row holds already.
CREATE FUNCTION pg_catalog.standin_node_checked(node text, had jsonb, opts jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  k text; v text; kind text := had ->> 'type'; r jsonb := had;
BEGIN
  FOR k, v IN SELECT * FROM jsonb_each_text(opts) LOOP
    CASE k
    WHEN 'type' THEN
      kind := CASE v WHEN 'coordinator' THEN 'C' WHEN 'datanode' THEN 'D' WHEN 'datanode slave' THEN 'E' END;
      IF kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
          'type value is incorrect, specify ''coordinator or ''datanode'' or ''datanode slave''';
      END IF;
      IF had ->> 'type' = 'D' AND kind = 'C' THEN
        RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: cannot alter Datanode to Coordinator', node);
      ELSIF had ->> 'type' = 'C' AND kind <> 'C' THEN
        RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: cannot alter Coordinator to Datanode', node);
      END IF;
      r := r || jsonb_build_object('type', kind);
    WHEN 'host' THEN
      IF octet_length(v) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = '42622', MESSAGE = format('host name "%s" of node %s is too long: at most 63 bytes', v, node);
      END IF;
      r := r || jsonb_build_object('host', v);
    WHEN 'port' THEN
      IF v::int NOT BETWEEN 1 AND 65535 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'port value is out of range';
      END IF;
      r := r || jsonb_build_object('port', v::int);
    WHEN 'primary', 'preferred', 'gtm' THEN r := r || jsonb_build_object(k, v::bool);
    WHEN 'name' THEN r := r || jsonb_build_object('name', v);
    ELSE RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('incorrect option: %s', k);
    END CASE;
  END LOOP;
  IF kind IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: Node type not specified', node);
  END IF;
  IF kind <> 'D' AND (r ->> 'primary')::bool THEN
    RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: cannot be a primary node, it has to be a Datanode', node);
  END IF;
  IF kind <> 'D' AND (r ->> 'preferred')::bool THEN
    RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: cannot be a preferred node, it has to be a Datanode', node);
  END IF;
  IF (r ->> 'primary')::bool AND EXISTS (SELECT FROM pg_catalog.pgxc_node WHERE nodeis_primary AND node_name::text <> node) THEN
    RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC node %s: two nodes cannot be primary', node);
  END IF;
  RETURN r;
END $$;

CREATE FUNCTION pg_catalog.standin_must_be_super(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('must be superuser to %s cluster nodes', what);
  END IF;
END $$;

CREATE PROCEDURE pg_catalog.standin_create_node(node text, master text, opts jsonb) LANGUAGE plpgsql AS $$
DECLARE
  r jsonb; id int := hashtext(node); most int := 16;
BEGIN
  PERFORM pg_catalog.standin_must_be_super('create');
  LOCK TABLE pg_catalog.pg_shdescription IN ROW EXCLUSIVE MODE;
  IF pg_catalog.standin_node_oid(node) IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = format('PGXC Node %s: object already defined', node);
  END IF;
  IF NOT opts ? 'host' THEN
    RAISE NOTICE 'PGXC node %: Applying default host value: localhost', node;
  END IF;
  IF NOT opts ? 'port' THEN
    RAISE NOTICE 'PGXC node %: Applying default port value: 5432', node;
  END IF;
  WHILE EXISTS (SELECT FROM pg_catalog.pgxc_node WHERE node_id = id) LOOP
    id := id + 1;
  END LOOP;
  IF master IS NOT NULL AND pg_catalog.standin_node_oid(master) IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('PGXC Node %s: object not defined', master);
  END IF;
  r := pg_catalog.standin_node_checked(node, jsonb_build_object('name', node, 'host', 'localhost', 'port', 5432,
    'primary', false, 'preferred', false, 'gtm', false, 'id', id,
    'master', COALESCE(pg_catalog.standin_node_oid(master), 0)), opts - 'name');
  most := current_setting(CASE r ->> 'type' WHEN 'C' THEN 'antdb.max_coordinators' ELSE 'antdb.max_datanodes' END)::int;
  IF (SELECT count(*) FROM pg_catalog.pgxc_node WHERE node_type::text = r ->> 'type') >= most THEN
    RAISE EXCEPTION USING ERRCODE = '54000', MESSAGE = format('Too many %s, current value of %s is %s',
      CASE r ->> 'type' WHEN 'C' THEN 'coordinators' ELSE 'datanodes' END,
      CASE r ->> 'type' WHEN 'C' THEN 'max_coordinators' ELSE 'max_datanodes' END, most);
  END IF;
  INSERT INTO pg_catalog.pg_shdescription
    SELECT COALESCE(max(objoid)::bigint, 16383) + 1, 1, r::text FROM pg_catalog.pg_shdescription WHERE classoid = 1;
END $$;

CREATE PROCEDURE pg_catalog.standin_alter_node(node text, opts jsonb) LANGUAGE plpgsql AS $$
DECLARE
  r jsonb;
BEGIN
  PERFORM pg_catalog.standin_must_be_super('change');
  SELECT description::jsonb INTO r FROM pg_catalog.pg_shdescription WHERE objoid = pg_catalog.standin_node_oid(node) AND classoid = 1;
  IF r IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('PGXC Node %s: object not defined', node);
  END IF;
  IF opts ->> 'name' <> node AND pg_catalog.standin_node_oid(opts ->> 'name') IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = format('PGXC Node %s: object already defined', opts ->> 'name');
  END IF;
  r := pg_catalog.standin_node_checked(node, r, opts);
  UPDATE pg_catalog.pg_shdescription SET description = r::text
   WHERE objoid = pg_catalog.standin_node_oid(node) AND classoid = 1;
END $$;

CREATE PROCEDURE pg_catalog.standin_drop_node(node text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_catalog.standin_must_be_super('remove');
  IF pg_catalog.standin_node_oid(node) IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('PGXC Node %s: object not defined', node);
  END IF;
  IF node = pg_catalog.pgxc_node_str() THEN
    RAISE EXCEPTION USING ERRCODE = '42601', MESSAGE = format('PGXC Node %s: cannot drop local node', node);
  END IF;
  DELETE FROM pg_catalog.pg_shdescription WHERE objoid = pg_catalog.standin_node_oid(node) AND classoid = 1;
END $$;

-- Raises what a front or a peer found, so that the client's own transaction fails with it.
CREATE PROCEDURE pg_catalog.standin_raise(code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
END $$;

-- One row per distributed transaction whose commit was decided and not yet carried out everywhere.
CREATE TABLE pg_catalog.standin_rxact (gid text PRIMARY KEY, nodes text NOT NULL);

CREATE PROCEDURE pg_catalog.standin_decide(gid text, nodes text, forget text[]) SECURITY DEFINER LANGUAGE sql AS $$
  DELETE FROM pg_catalog.standin_rxact WHERE standin_rxact.gid = ANY (forget);
  INSERT INTO pg_catalog.standin_rxact VALUES (gid, nodes) $$;

CREATE PROCEDURE pg_catalog.standin_forget(gid text) SECURITY DEFINER LANGUAGE sql AS $$
  DELETE FROM pg_catalog.standin_rxact WHERE standin_rxact.gid = standin_forget.gid $$;

-- All DDL of the cluster passes through this lock on gc first, so that two of them cannot wait for each other.
CREATE PROCEDURE pg_catalog.standin_ddl_lock() SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE pg_catalog.pg_shdescription IN SHARE UPDATE EXCLUSIVE MODE;
END $$;

-- The datanode that holds a row: on a coordinator the name of the partition that the row came from ends with the
-- node's id, with m for minus. One expression, so that the planner puts it in place of the call.
CREATE FUNCTION pg_catalog.xc_node_id(part oid) RETURNS int STABLE LANGUAGE sql AS $$
  SELECT CASE current_setting('antdb.adb_node_type') WHEN 'datanode' THEN hashtext(current_setting('antdb.pgxc_node_name'))
    ELSE translate(split_part(part::regclass::text, '_', -1), 'm', '-')::int END $$;

-- Where a table's rows are, as standin_spread and standin_redistribute noted it: kind, column number, node ids, and
-- whether the table itself has foreign partitions, which one that the user partitioned has not.
CREATE FUNCTION pg_catalog.standin_distribution(rel oid) RETURNS jsonb STABLE LANGUAGE sql AS $$
  SELECT description::jsonb FROM pg_catalog.pg_description WHERE objoid = rel AND classoid = 1 AND objsubid = 0 $$;

CREATE FUNCTION pg_catalog.standin_nodes(distribution jsonb) RETURNS text[] STABLE LANGUAGE sql AS $$
  SELECT array_agg(n.node_name::text ORDER BY k.place) FROM jsonb_array_elements_text(distribution -> 'nodes') WITH ORDINALITY k (id, place)
    JOIN pg_catalog.pgxc_node n ON n.node_id = k.id::int $$;

CREATE VIEW pg_catalog.pgxc_class AS
SELECT c.oid AS pcrelid, (d.j ->> 'kind')::"char" AS pclocatortype,
       (SELECT array_to_string(array_agg(pg_catalog.standin_node_oid(n.node_name::text) ORDER BY k.place), ' ')::oidvector
          FROM jsonb_array_elements_text(d.j -> 'nodes') WITH ORDINALITY k (id, place)
          JOIN pg_catalog.pgxc_node n ON n.node_id = k.id::int) AS nodeoids,
       CASE WHEN d.j ->> 'kind' IN ('H', 'M') THEN (d.j ->> 'col')::int2vector END AS pcattrs,
       NULL::oidvector AS pcclass, NULL::oidvector AS pccollation, NULL::text AS pcexprs, NULL::text AS pcvalues
  FROM pg_catalog.pg_class c
  JOIN LATERAL (SELECT description::jsonb AS j FROM pg_catalog.pg_description
                 WHERE objoid = c.oid AND classoid = 1 AND objsubid = 0) d ON true;

GRANT SELECT ON pg_catalog.pgxc_class TO PUBLIC;

-- What users partitioned. The tables that the stand-in itself divides over datanodes are ordinary ones to everybody else.
CREATE VIEW pg_standin.pg_partitioned_table AS
SELECT p.* FROM pg_catalog.pg_partitioned_table p
 WHERE NOT COALESCE((pg_catalog.standin_distribution(p.partrelid) ->> 'leaf')::bool, false);

GRANT SELECT ON pg_standin.pg_partitioned_table TO PUBLIC;

-- Applies each change of a replicated table's readable copy to the copies on the other datanodes.
CREATE FUNCTION pg_catalog.standin_replicate() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE
  copy regclass; cols text; news text; same text;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
         string_agg(format('($1).%I', attname), ', ' ORDER BY attnum),
         string_agg(format('t.%1$I IS NOT DISTINCT FROM ($2).%1$I', attname), ' AND ' ORDER BY attnum)
    INTO cols, news, same
    FROM pg_catalog.pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
  FOR copy IN SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'pg_standin' AND c.relname LIKE replace(TG_ARGV[0], '_', '\_') || '\_%' AND c.oid <> TG_RELID LOOP
    IF TG_OP = 'INSERT' THEN
      EXECUTE format('INSERT INTO %s (%s) SELECT %s', copy, cols, news) USING NEW;
    ELSIF TG_OP = 'UPDATE' THEN
      EXECUTE format('UPDATE %s t SET (%s) = ROW(%s) WHERE %s', copy, cols, news, same) USING NEW, OLD;
    ELSE
      EXECUTE format('DELETE FROM %s t WHERE %s', copy, replace(same, '$2', '$1')) USING OLD;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE PROCEDURE pg_catalog.standin_server(node name) LANGUAGE plpgsql AS $$
DECLARE
  id int := (SELECT node_id FROM pg_catalog.pgxc_node WHERE node_name = node);
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvversion = id::text) THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE SERVER %I TYPE ''datanode'' VERSION %L FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, '
    'fetch_size ''10000'', batch_size ''1000'', async_capable ''true'', parallel_commit ''true'')', node, id, current_database());
  EXECUTE format('CREATE USER MAPPING FOR PUBLIC SERVER %I OPTIONS (user %L, password_required ''false'')', node, id);
END $$;

-- The columns of a table, as CREATE FOREIGN TABLE takes them.
CREATE FUNCTION pg_catalog.standin_columns(rel oid) RETURNS text STABLE LANGUAGE sql AS $$
  SELECT COALESCE(string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum), '')
    FROM pg_catalog.pg_attribute WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped $$;

-- A further copy of a replicated table: no partition, it is written by standin_replicate.
CREATE PROCEDURE pg_catalog.standin_copy(part text, parent oid, srv text, nsp text, rel text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE pg_standin.%I (%s) SERVER %I OPTIONS (schema_name %L, table_name %L)',
    part, pg_catalog.standin_columns(parent), srv, nsp, rel);
END $$;

-- Makes a table's foreign partitions. The kinds are pgxc_class's: H hash, M modulo, N random, R replicated.
CREATE PROCEDURE pg_catalog.standin_place(parent regclass, kind text, nodes text[]) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  t record; node text; i int := 0; part text; srv text; n int := cardinality(nodes);
BEGIN
  SELECT c.relname, s.nspname, c.relowner::regrole AS owner INTO t FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = parent;
  FOREACH node IN ARRAY nodes LOOP
    CALL standin_server(node::name);
    SELECT srvname INTO srv FROM pg_foreign_server s JOIN pgxc_node p ON s.srvversion = p.node_id::text WHERE p.node_name = node::name;
    part := (SELECT format('t%s_%s', parent::oid, translate(node_id::text, '-', 'm')) FROM pgxc_node p WHERE p.node_name = node::name);
    IF kind = 'R' AND i > 0 THEN
      CALL standin_copy(part, parent, srv, t.nspname, t.relname);
    ELSE
      EXECUTE format('CREATE FOREIGN TABLE pg_standin.%I PARTITION OF %s FOR VALUES WITH (MODULUS %s, REMAINDER %s) '
        'SERVER %I OPTIONS (schema_name %L, table_name %L)',
        part, parent, CASE kind WHEN 'R' THEN 1 ELSE n END, i, srv, t.nspname, t.relname);
      IF kind = 'R' AND n > 1 THEN
        EXECUTE format('CREATE TRIGGER standin_replicate AFTER INSERT OR UPDATE OR DELETE ON pg_standin.%I FOR EACH ROW '
          'EXECUTE FUNCTION pg_catalog.standin_replicate(%L)', part, 't' || parent::oid);
      END IF;
    END IF;
    EXECUTE format('ALTER TABLE pg_standin.%I OWNER TO %s', part, t.owner);
    i := i + 1;
  END LOOP;
END $$;

CREATE FUNCTION pg_catalog.standin_datanodes(nodes text[]) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
  node text; ids jsonb := '[]';
BEGIN
  FOREACH node IN ARRAY nodes LOOP
    IF NOT EXISTS (SELECT FROM pgxc_node WHERE node_name = node::name) THEN
      RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('PGXC Node "%s": object not defined', node);
    ELSIF NOT EXISTS (SELECT FROM pgxc_node WHERE node_name = node::name AND node_type = 'D') THEN
      RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('PGXC node "%s": not a Datanode', node);
    END IF;
    ids := ids || (SELECT to_jsonb(node_id) FROM pgxc_node WHERE node_name = node::name);
  END LOOP;
  RETURN ids;
END $$;

-- Notes where a new table is, and makes its foreign partitions. A column is given for one that the user partitioned:
-- there the foreign partitions belong to the user's partitions.
CREATE PROCEDURE pg_catalog.standin_spread(parent regclass, kind text, nodes text[], col text DEFAULT NULL) SECURITY DEFINER LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  ids jsonb;
BEGIN
  IF standin_distribution(parent) IS NOT NULL THEN
    RETURN; -- IF NOT EXISTS, and it does
  END IF;
  IF nodes IS NULL THEN
    nodes := ARRAY(SELECT node_name FROM pgxc_node WHERE node_type = 'D' ORDER BY nodeis_primary AND kind = 'R' DESC, node_name);
  END IF;
  ids := standin_datanodes(nodes);
  IF col IS NULL THEN
    CALL standin_place(parent, kind, nodes);
  END IF;
  INSERT INTO pg_description VALUES (parent::oid, 1, 0, jsonb_build_object('kind', kind, 'nodes', ids, 'leaf', col IS NULL,
    'col', (SELECT a.attnum FROM pg_attribute a JOIN pg_partitioned_table p ON p.partrelid = a.attrelid
             WHERE a.attrelid = parent AND CASE WHEN col IS NULL THEN a.attnum = p.partattrs[0] ELSE a.attname = col END))::text);
END $$;

-- Creates a partition of a table that the user partitioned: it lies where its parent does.
CREATE PROCEDURE pg_catalog.standin_partition(stmt text, child text, parent text, divided bool) LANGUAGE plpgsql AS $$
DECLARE
  d jsonb := pg_catalog.standin_distribution(parent::regclass); col text; new bool := to_regclass(child) IS NULL;
BEGIN
  SELECT attname INTO col FROM pg_catalog.pg_attribute WHERE attrelid = parent::regclass AND attnum = (d ->> 'col')::int;
  EXECUTE stmt || CASE WHEN divided OR d IS NULL THEN '' ELSE format(' PARTITION BY HASH (%I)', col) END;
  IF new AND d IS NOT NULL THEN
    CALL pg_catalog.standin_spread(child::regclass, d ->> 'kind', pg_catalog.standin_nodes(d), CASE WHEN divided THEN col END);
  END IF;
END $$;

-- A table and its partitions, those of the stand-in left out.
CREATE FUNCTION pg_catalog.standin_tree(rel oid) RETURNS TABLE (relid oid, d jsonb) STABLE LANGUAGE sql AS $$
  SELECT t.relid::oid, pg_catalog.standin_distribution(t.relid) FROM pg_catalog.pg_partition_tree(rel) t
   WHERE pg_catalog.standin_distribution(t.relid) IS NOT NULL ORDER BY t.level, t.relid $$;

-- What ALTER TABLE ADD, DELETE or TO NODE means: checked in AntDB's words, with the table locked on this node.
CREATE FUNCTION pg_catalog.standin_redistribution(rel regclass, verb text, names text[]) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  d jsonb := standin_distribution(rel); have text[] := standin_nodes(d); want text[] := have; up jsonb; n text; r record; ids jsonb;
BEGIN
  IF d IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('"%s" is not a table', (SELECT relname FROM pg_class WHERE oid = rel));
  ELSIF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = rel), 'USAGE') THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('must be owner of table %s', (SELECT relname FROM pg_class WHERE oid = rel));
  END IF;
  ids := standin_datanodes(names);
  SELECT standin_distribution(inhparent) INTO up FROM pg_inherits WHERE inhrelid = rel;
  IF up IS NOT NULL AND NOT (cardinality(names) = jsonb_array_length(up -> 'nodes') AND standin_nodes(up) @> names) THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'The new distribution node is different from the parent table.';
  END IF;
  IF verb = 'to' THEN
    want := '{}';
  END IF;
  FOREACH n IN ARRAY names LOOP
    IF verb <> 'delete' AND n = ANY (want) THEN
      CONTINUE WHEN n <> ALL (have) OR verb = 'to'; -- named twice
      RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = format('PGXC Node %s: object already in relation node list', n);
    ELSIF verb = 'delete' AND n <> ALL (want) THEN
      RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = format('PGXC Node %s: object not in relation node list', n);
    END IF;
    want := CASE verb WHEN 'delete' THEN array_remove(want, n) ELSE want || n END;
  END LOOP;
  IF cardinality(want) = 0 THEN
    RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = 'Node list is empty: one node at least is mandatory';
  END IF;
  FOR r IN SELECT relid FROM standin_tree(rel) LOOP
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', r.relid::regclass);
  END LOOP;
  RETURN jsonb_build_object('Table', rel::text, 'Kind', d ->> 'kind', 'Have', have, 'Want', want, 'Leaves', (
    SELECT jsonb_agg(jsonb_build_object('ID', t.relid::int8, 'Table', t.relid::regclass::text, 'Column', quote_ident(a.attname),
             'Type', format_type(a.atttypid, a.atttypmod) ||
               COALESCE((SELECT format(' COLLATE %I.%I', s.nspname, l.collname) FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace
                 WHERE l.oid = a.attcollation AND l.collname <> 'default'), ''),
             'Columns', (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                          WHERE attrelid = t.relid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')))
      FROM standin_tree(rel) t JOIN pg_partitioned_table p ON p.partrelid = t.relid
      JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = p.partattrs[0] WHERE (t.d ->> 'leaf')::bool));
END $$;

-- What a coordinator does for it.
CREATE PROCEDURE pg_catalog.standin_redistribute(rel text, want text[]) SECURITY DEFINER LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  t record; part text;
BEGIN
  FOR t IN SELECT * FROM standin_tree(rel::regclass) LOOP
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', t.relid::regclass);
    IF (t.d ->> 'leaf')::bool THEN
      FOR part IN SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'pg_standin' AND c.relname LIKE 't' || t.relid || '\_%' LOOP
        EXECUTE format('DROP FOREIGN TABLE pg_standin.%I', part);
      END LOOP;
      CALL standin_place(t.relid::regclass, t.d ->> 'kind', want);
    END IF;
    UPDATE pg_description SET description = jsonb_set(t.d, '{nodes}', standin_datanodes(want))::text
     WHERE objoid = t.relid AND classoid = 1 AND objsubid = 0;
  END LOOP;
END $$;

-- After a table was changed, renamed, moved or given away: its partitions and copies follow.
CREATE PROCEDURE pg_catalog.standin_follow() SECURITY DEFINER LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  r record;
BEGIN
  DELETE FROM pg_description d WHERE classoid = 1 AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objoid);
  FOR r IN SELECT f.oid, f.relname, f.relispartition, p.oid AS parent, p.relname AS name, s.nspname AS schema, v.srvname AS srv,
                  p.relowner::regrole AS owner, standin_columns(f.oid) <> standin_columns(p.oid) AS changed
             FROM pg_class f JOIN pg_namespace h ON h.oid = f.relnamespace AND h.nspname = 'pg_standin'
             JOIN pg_foreign_table o ON o.ftrelid = f.oid JOIN pg_foreign_server v ON v.oid = o.ftserver
             LEFT JOIN pg_class p ON p.oid = substring(f.relname from '^t(\d+)_')::oid
             LEFT JOIN pg_namespace s ON s.oid = p.relnamespace
            WHERE p.oid IS NULL OR p.relowner <> f.relowner OR standin_columns(f.oid) <> standin_columns(p.oid)
               OR NOT o.ftoptions @> ARRAY['schema_name=' || s.nspname, 'table_name=' || p.relname] LOOP
    IF r.parent IS NULL OR (r.changed AND NOT r.relispartition) THEN
      EXECUTE format('DROP FOREIGN TABLE pg_standin.%I', r.relname);
    END IF;
    CONTINUE WHEN r.parent IS NULL;
    IF r.changed AND NOT r.relispartition THEN
      CALL standin_copy(r.relname::text, r.parent, r.srv::text, r.schema::text, r.name::text);
    ELSE
      EXECUTE format('ALTER FOREIGN TABLE pg_standin.%I OPTIONS (SET schema_name %L, SET table_name %L)', r.relname, r.schema, r.name);
    END IF;
    EXECUTE format('ALTER TABLE pg_standin.%I OWNER TO %s', r.relname, r.owner);
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA pg_standin TO PUBLIC;

-- A row whose distribution column changed would be looked for on another datanode. This is the trigger on datanodes.
CREATE FUNCTION pg_catalog.standin_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'Partition column can''t be updated in current version';
END $$;

-- A key is unique over all datanodes only when rows with equal keys meet on one of them.
CREATE PROCEDURE pg_catalog.standin_check_key(rel regclass, cols text[]) LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.standin_distribution(rel) d JOIN pg_catalog.pg_attribute a ON a.attnum = (d ->> 'col')::int
              WHERE a.attrelid = rel AND d ->> 'kind' <> 'R' AND a.attname <> ALL (cols)) THEN
    RAISE EXCEPTION USING ERRCODE = '42P16', MESSAGE =
      'Unique index of partitioned table must contain the hash distribution column.';
  END IF;
END $$;

-- A foreign key is checked by each datanode alone, so both rows must be on the same one: AntDB's rules and words.
CREATE PROCEDURE pg_catalog.standin_check_fk(name text, rel regclass, cols text[], pk regclass, pkcols text[], sets bool) SECURITY DEFINER LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  f jsonb := pg_catalog.standin_distribution(rel); p jsonb := pg_catalog.standin_distribution(pk); why text; pkname text;
BEGIN
  IF p IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = format('referenced relation "%s" is not a table', pk);
  END IF;
  IF pkcols IS NULL THEN -- the primary key, which only datanodes know
    pkname := (SELECT format('%I.%I', nspname, relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE c.oid = pk);
    pkcols := ARRAY(SELECT pg_catalog.standin_on_node((p -> 'nodes' ->> 0)::int, format('SELECT a.attname FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      WHERE i.indrelid = %L::pg_catalog.regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)', pkname)));
  END IF;
  IF p ->> 'kind' = 'R' THEN
    IF p -> 'nodes' @> (f -> 'nodes') THEN
      RETURN;
    END IF;
    why := 'because of different distribution of nodes';
  ELSIF f -> 'nodes' = p -> 'nodes' AND jsonb_array_length(f -> 'nodes') = 1 THEN
    RETURN;
  ELSIF NOT EXISTS (SELECT FROM unnest(cols, pkcols) AS k (c, pc)
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = rel AND a.attname = k.c AND a.attnum = (f ->> 'col')::int
                      JOIN pg_catalog.pg_attribute b ON b.attrelid = pk AND b.attname = k.pc AND b.attnum = (p ->> 'col')::int
                     WHERE f -> 'nodes' = p -> 'nodes' AND f ->> 'kind' = p ->> 'kind' AND f ->> 'kind' <> 'N') THEN
    IF rel <> pk THEN
      RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'Cannot create foreign key whose evaluation cannot be enforced to remote nodes';
    END IF;
    why := 'because cannot make sure foreign key table has the same partition with the primary key table';
  ELSIF sets THEN
    why := 'because value which is set on delete/update exists in only one node';
  ELSE
    RETURN;
  END IF;
  RAISE EXCEPTION USING ERRCODE = '42830', HINT = why,
    MESSAGE = format('Cannot create foreign key "%s" which cannot be referenced in the primary key table', name);
END $$;

-- Sequences are served by gc: a call elsewhere goes there through the front.
CREATE FUNCTION pg_catalog.standin_on_gc(seq regclass, call text) RETURNS bigint SECURITY DEFINER LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  gc int := (SELECT node_id FROM pgxc_node WHERE nodeis_gtm); r bigint; name text;
BEGIN
  IF NOT has_sequence_privilege(session_user, seq, 'USAGE') THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('permission denied for sequence %s', seq);
  END IF;
  SELECT format('%I.%I', n.nspname, c.relname) INTO name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = seq;
  IF gc IS NULL OR current_setting('antdb.adb_node_type') <> 'coordinator'
     OR (SELECT relpersistence FROM pg_class WHERE oid = seq) = 't' THEN
    EXECUTE format('SELECT ' || call, name) INTO r;
  ELSE
    SELECT v INTO r FROM dblink(format('user=%s dbname=%s application_name=%s', gc, quote_literal(current_database()), pg_backend_pid()),
      format('SELECT pg_catalog.' || call, name)) AS t (v bigint);
  END IF;
  RETURN r;
END $$;

CREATE FUNCTION pg_catalog.adb_nextval(seq regclass) RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_catalog.standin_on_gc(seq, 'nextval(%L)') $$;

CREATE FUNCTION pg_catalog.adb_setval(seq regclass, value bigint, is_called bool DEFAULT true) RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_catalog.standin_on_gc(seq, 'setval(%L, ' || value || ', ' || is_called || ')') $$;

CREATE FUNCTION pg_catalog.standin_missing(what text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'AntDB stand-in does not do ' || what,
    HINT = 'The stand-in is for trying, developing and testing; see its README for what it leaves out.';
END $$;

-- Asks the own front for what only it knows.
CREATE FUNCTION pg_catalog.standin_front(question text) RETURNS SETOF text SECURITY DEFINER LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  RETURN QUERY SELECT v FROM dblink(format('user=0 dbname=%s application_name=%s', quote_literal(current_database()), pg_backend_pid()),
    question) AS t (v text);
END $$;

REVOKE EXECUTE ON FUNCTION pg_catalog.standin_front(text) FROM PUBLIC;

CREATE FUNCTION pg_catalog.standin_pause(question text, command text, notice text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('"%s" command: must be a superuser', command);
  END IF;
  IF current_setting('antdb.adb_node_type') = 'datanode' THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = format('"%s" command must be sent to a coordinator', command);
  END IF;
  IF (SELECT pg_catalog.standin_front(question)) = 'already' THEN
    RAISE NOTICE '%', notice;
  END IF;
  RETURN true;
END $$;

CREATE FUNCTION pg_catalog.pg_pause_cluster() RETURNS bool LANGUAGE sql AS $$
  SELECT pg_catalog.standin_pause('pause', 'SELECT PG_PAUSE_CLUSTER()', 'cluster already paused') $$;

CREATE FUNCTION pg_catalog.pg_unpause_cluster() RETURNS bool LANGUAGE sql AS $$
  SELECT pg_catalog.standin_pause('unpause', 'SELECT PG_UNPAUSE_CLUSTER()',
    'Issue "SELECT PG_PAUSE_CLUSTER()" before calling "SELECT PG_UNPAUSE_CLUSTER()"') $$;

-- Runs one query on another node and returns its first column, over the session's own connection to it.
CREATE FUNCTION pg_catalog.standin_on_node(node int, query text) RETURNS SETOF text SECURITY DEFINER LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  RETURN QUERY SELECT v FROM dblink(format('user=%s dbname=%s application_name=%s', node, quote_literal(current_database()),
    pg_backend_pid()), query) AS t (v text);
END $$;

REVOKE EXECUTE ON FUNCTION pg_catalog.standin_on_node(int, text) FROM PUBLIC;

-- The DDL lock: a session's advisory lock on this node, in this database. The other coordinators are only asked
-- whether somebody holds it there, as AntDB does.
CREATE FUNCTION pg_catalog.pgxc_lock_for_backup() RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  n int; taken bool;
  free CONSTANT text := 'SELECT CASE WHEN pg_catalog.pg_try_advisory_lock(65535, 65535)
    THEN pg_catalog.pg_advisory_unlock(65535, 65535) ELSE false END';
BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'only superuser can lock the cluster for backup';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts) THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'cannot lock cluster for backup in presence of 1 uncommitted prepared transactions';
  END IF;
  IF NOT pg_catalog.pg_try_advisory_lock(65535, 65535) THEN
    RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = 'cannot lock cluster for backup, lock is already held';
  END IF;
  BEGIN
    FOR n IN SELECT node_id FROM pg_catalog.pgxc_node WHERE node_type = 'C' AND node_name <> pg_catalog.pgxc_node_str()
                AND current_setting('antdb.adb_node_type') <> 'datanode' ORDER BY node_name LOOP
      SELECT v::bool INTO taken FROM pg_catalog.standin_on_node(n, free) v;
      IF NOT taken THEN
        RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = 'cannot lock cluster for backup, lock is already held';
      END IF;
    END LOOP;
  EXCEPTION WHEN OTHERS THEN
    PERFORM pg_catalog.pg_advisory_unlock(65535, 65535);
    RAISE;
  END;
  RAISE INFO 'please do not close this session until you are done adding the new node';
  RETURN true;
END $$;

-- What this coordinator has not finished on all nodes.
CREATE FUNCTION pg_catalog.rxact_get_running(OUT gid text, OUT dbid oid, OUT type "char", OUT backend bool, OUT nodes oid[], OUT status bool[])
RETURNS SETOF record SECURITY DEFINER LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('antdb.adb_node_type') = 'datanode' THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'Can not connect to RXACT manager:No such file or directory';
  END IF;
  RETURN QUERY SELECT r.v ->> 'gid', COALESCE((SELECT d.oid FROM pg_database d WHERE datname = r.v ->> 'database'), 0::oid), (r.v ->> 'type')::"char",
    (r.v ->> 'backend')::bool,
    ARRAY(SELECT COALESCE(standin_node_oid(n.name), 0::oid) FROM jsonb_array_elements_text(r.v -> 'nodes') WITH ORDINALITY n (name, i) ORDER BY n.i),
    ARRAY(SELECT s.done::bool FROM jsonb_array_elements_text(r.v -> 'status') WITH ORDINALITY s (done, i) ORDER BY s.i)
    FROM (SELECT f.v::jsonb FROM standin_front('rxact') f (v)) r;
END $$;

-- The size of a distributed table, on a coordinator, is the sum over its datanodes. The names are PostgreSQL's, in
-- another schema, so that the columns of a result are called the same.
CREATE FUNCTION pg_catalog.standin_size(rel regclass, fn text) RETURNS bigint SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE
  d jsonb := pg_catalog.standin_distribution(rel); r bigint; name text;
BEGIN
  IF d IS NULL OR current_setting('antdb.adb_node_type') = 'datanode' THEN
    EXECUTE format('SELECT pg_catalog.%I($1)', fn) INTO r USING rel;
    RETURN r;
  END IF;
  SELECT format('%I.%I', n.nspname, c.relname) INTO name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel;
  SELECT sum((SELECT v::bigint FROM pg_catalog.standin_on_node(k.id::int, format('SELECT sum(pg_catalog.%I(r)) FROM (
      SELECT relid FROM pg_catalog.pg_partition_tree(%2$L) UNION SELECT %2$L::pg_catalog.regclass) t (r)', fn, name)) v))
    INTO r FROM jsonb_array_elements_text(d -> 'nodes') k (id);
  RETURN r;
END $$;

CREATE FUNCTION pg_standin.pg_relation_size(rel regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_catalog.standin_size(rel, 'pg_relation_size') $$;

CREATE FUNCTION pg_standin.pg_relation_size(rel regclass, fork text) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_catalog.pg_relation_size(rel, fork) $$;

CREATE FUNCTION pg_standin.pg_table_size(rel regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_catalog.standin_size(rel, 'pg_table_size') $$;

CREATE FUNCTION pg_standin.pg_indexes_size(rel regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_catalog.standin_size(rel, 'pg_indexes_size') $$;

CREATE FUNCTION pg_standin.pg_total_relation_size(rel regclass) RETURNS bigint LANGUAGE sql AS $$ SELECT pg_catalog.standin_size(rel, 'pg_total_relation_size') $$;

CREATE FUNCTION pg_standin.pg_database_size(db name) RETURNS bigint SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('antdb.adb_node_type') = 'datanode' OR NOT EXISTS (SELECT FROM pg_catalog.pgxc_node WHERE node_type = 'D') THEN
    RETURN pg_catalog.pg_database_size(db);
  END IF;
  RETURN (SELECT sum(v::bigint) FROM pg_catalog.pgxc_node,
    pg_catalog.standin_on_node(node_id, format('SELECT pg_catalog.pg_database_size(%L::pg_catalog.name)', db)) v WHERE node_type = 'D');
END $$;

CREATE FUNCTION pg_standin.pg_database_size(db oid) RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_standin.pg_database_size(datname) FROM pg_catalog.pg_database WHERE oid = db $$;
