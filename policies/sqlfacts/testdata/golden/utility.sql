begin

start transaction isolation level serializable read only

commit

rollback to a

savepoint a; release a; rollback; end; abort

prepare transaction 'x'

commit prepared 'x'

set application_name = 'x'

set local statement_timeout to 5

set search_path to evil

set schema 'evil'

reset search_path

reset all

set time zone 'UTC'

set session authorization bob

set role none

set my.secret = 'x'

set transaction read write

set session characteristics as transaction read only

set names 'utf8'

show search_path

show all

discard all

deallocate a

deallocate all

prepare p (int) as select password from customers where id = $1

execute p(1)

declare c cursor for select * from customers

fetch all from c

move 5 from c

close c

close all

listen a; notify a, 'payload'; unlisten a; unlisten *

lock table orders in exclusive mode

set constraints all immediate

explain delete from orders where id = 1

explain (analyze) delete from orders where id = 1

explain (analyze false) update orders set total = 1

explain analyze select customer_password(1)

explain create table x as select password from customers

copy customers from stdin

copy customers (id, password) to stdout with (format csv, header, delimiter ';')

copy customers to '/tmp/x'

copy customers to program 'curl --user a:b'

copy orders from program 'cat'

copy (select password from customers) to stdout

copy (delete from orders returning *) to stdout

copy generated to stdout binary

copy orders from stdin with (encoding 'latin1')

copy orders from stdin with (surprise 1)

copy orders to stdout csv quote '"' escape '\' null 'NULL'

call archive(1)

do $$begin end$$

create function f() returns int language sql as 'select 1'

create extension dblink

load 'x'

alter system set x = 'y'

security label on table orders is 'x'

create server s foreign data wrapper w options (password 'x')

create user mapping for bob server s options (password 'x')

alter role bob password 'secret'

create user x with password 'secret'

create role y

drop role y

grant select on customers to bob

grant all on all tables in schema public to public

grant bob to carol

revoke all on function f(int) from bob

alter default privileges grant select on tables to bob

alter table orders owner to bob

reassign owned by bob to carol

drop owned by bob

vacuum

vacuum analyze orders

analyze orders (total)

cluster orders

reindex table orders

reindex database d

checkpoint

refresh materialized view customer_summary

truncate orders, payments

truncate orders cascade

explain analyze with p as (select 1 from payments), i as (insert into orders (id) values (1)) select 1

explain (analyze, buffers false) insert into orders (id) values (1)

explain (buffers) select name from customers

explain (analyze, buffers off, wal off) select name from customers

explain (analyze, buffers off, wal) select name from customers

explain (analyze, buffers off, serialize none) select name from customers

explain (analyze, buffers off, serialize text) select name from customers

explain (analyze, buffers off, memory) select name from customers

explain (analyze 0) delete from orders

explain (analyze 1, buffers 0) delete from orders

explain (analyze, analyze off) delete from orders

explain (analyze off, analyze) delete from orders

cluster

reindex index i

reindex index measurements

reindex table measurements

reindex schema public

alter schema audit owner to bob

alter function f(int) owner to bob

explain execute p

explain declare c cursor for select password from customers

explain select 1

call nowhere(1)

call audit.nowhere(customer_password(1))

create procedure f() language sql as 'select 1'

revoke a from b

discard plans

rollback prepared 'x'

alter view customer_view rename column id to x

alter view customer_view rename to v

set session characteristics as transaction isolation level serializable, read write

set transaction snapshot '1'

set a.b to default

set role to default

reset a.b

set search_path from current

set work_mem from current

unlisten *

grant all on large object 5 to bob

grant select on pg_temp.t to bob

grant usage on schema public to current_user, session_user, current_role, public

alter role all set work_mem = 5

lock table only orders, payments nowait
