create table t (id int primary key, s text default lower('X'))

create table if not exists orders (id int)

create table public.t (like customers including all)

create table t (id int) inherits (customers)

create table t partition of orders for values in ('a')

create temp table t (id int)

create table pg_temp.t (id int)

select * from pg_temp.t

create table t as select password from customers

create temp table t as select 1

create table t as execute p

create view v as select password from customers

create or replace view customer_view as select 1

create temp view v as select 1

create materialized view m as select count(*) from customers

alter table customers add column copy text generated always as (password) stored

alter table orders alter column total type text using customer_password(id)

alter table orders add constraint fk foreign key (customer_id) references customers (id)

alter table customers add constraint u unique (password)

alter table customers rename column password to p

alter table customers rename to c

alter table customers set schema audit

alter table orders inherit customers

alter table orders attach partition payments for values in (1)

alter table customers enable row level security

alter table orders add column e email

alter table customers alter password set default 'x'

alter index i rename to j

create index on customers (password)

create unique index i on orders (lower(status)) where total > 5

create index on orders (customer_password(id))

create index on orders using gin (status gin_trgm_ops)

create statistics s on password, name from customers

create trigger t before insert on orders for each row when (new.status = 'x') execute function archive()

create policy p on customers using (password = 'x')

create rule r as on insert to orders do instead nothing

create sequence s

alter sequence orders_id_seq restart

create schema s

create schema s create table t (id int)

create type mood as enum ('sad')

create type pair as (a int, b int)

create type r as range (subtype = int)

create domain d as text check (customer_password(1) = value)

alter type order_status add value 'x'

create aggregate a (int) (sfunc = f, stype = int)

create operator === (procedure = f, leftarg = int, rightarg = int)

create database d

drop database d

alter database d set search_path = evil

drop table orders, audit.customers cascade

drop table if exists nothing

drop index public.i

drop view customer_view

drop function f(int)

drop schema audit cascade

drop type order_status

drop policy p on customers

drop trigger t on orders

comment on column customers.password is 'x'

comment on table orders is 'x'

create publication p for all tables

create subscription s connection 'host=x password=y' publication p

import foreign schema a from server b into c

alter function f(int) security definer

create event trigger e on ddl_command_start execute function f()

alter table orders add column n int

alter table orders add column n int default 5

alter table orders add column n int check (n > 0)

alter table only customers drop column password

alter table customers drop column password

alter table newer drop column x

alter table orders attach partition payments for values in (customer_password(1))

alter database d rename to e

alter index orders rename to o

alter sequence orders_id_seq rename to s

alter type order_status rename to s

drop type pg_temp.t

drop function pg_temp.f(int)

comment on constraint c on domain email is 'x'

drop cast (email as text)

comment on large object 5 is 'x'

create type pg_temp.t as enum ('a')

create domain pg_temp.d as int

create table t partition of orders for values in (customer_password(1))

create table t (id int) partition by range (customer_password(id))

create domain d as text collate "C"

alter table orders add constraint e exclude using gist (status with =, customer_password(id) with public.~=~)

create table t (customer_id int references orders)

create table t (customer_id int references newer)

alter domain email add check (value <> '')

alter domain nowhere add check (value <> '')

create table public.t partition of newer default

create statistics s on (customer_password(1)) from customers

create index on orders using public_am (id)

create index on orders (status pg_catalog.text_ops)

create trigger t before insert on orders for each row execute function nowhere()

create constraint trigger t after insert on orders from payments for each row execute function archive()
