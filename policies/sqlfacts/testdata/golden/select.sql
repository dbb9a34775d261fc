select 1

select * from customers

select id, password from customers where id = 5 and name like 'a%'

select c.password, lower(c.name) as n from customers c order by n, 1

select distinct password from customers

select count(*) from customers where password = 'hunter2' or id in (1, 2)

select c from customers c

select c.password from (select * from customers) c

select p from (select password as p from customers) s

with customers as (select 1 as id) select id from customers

with recursive t as (select id from orders union all select o.id from orders o join t on t.id = o.customer_id) select * from t

with a as (select id from b), b as (select id from customers) select * from a

with x as (delete from orders where id = $1 returning *) select id from x

select * from orders o join customers c on c.id = o.customer_id

select * from orders natural join payments

select * from orders join payments using (id)

select j.password from (orders join customers using (id)) as j

select j from (orders o join customers c on true) as j

select id from customers for update

select id from customers c join orders o on true for share of o

select customer_password(id) from customers

select customer_password(id) as p from customers order by p

select customer_password(1) where customer_password(2) = 'x'

select * from customer_password(1) f

table customers

(select password from customers)

values (1, 'a'), (2, 'b')

select password from customers union select name from customers

select * from nothing.here where x = 1

select * from customer_view

select * from vip_customers

select id into copied from customers

select id from customers limit 5 offset $2

select $1::int + id from orders where total > $2

select * from orders where (id, total) = (1, 2) and status is distinct from 'open'

select sum(total) filter (where status = 'x') over (partition by customer_id order by id) from orders

select total, count(*) from orders group by 1 having count(*) > 3

select status from orders group by grouping sets ((status), ())

select nextval('orders_id_seq'), currval('public.orders_id_seq'::regclass), setval('"orders_id_seq"', 5)

select nextval(name) from customers

select lastval()

select set_config('app.token', 'secret', true)

select set_config('search_path', 'evil', true)

select set_config('sea' || 'rch_path', 'evil', true)

select pg_notify('channel', password) from customers

select pg_advisory_lock(5)

select query_to_xml('select 1', true, true, '')

select id from orders tablesample bernoulli (10)

select 'x'::order_status, 'a@b'::email, 'x'::missing

select * from measurements where value = '1'

select * from measurements where id operator(public.~=~) 'x'

select id from orders where exists (select 1 from customers c where c.id = customer_id and c.email = 'x')

select note['a'], (note).b from customers

select case password when 'x' then 1 else 2 end from customers

select extract(year from changed_at) from audit.customers where changed_at > date '2024-01-01'

select -5, 1e3, 0x1F, B'101', E'a\'b', U&'d' uescape '!', $$x$$, interval '1' day

select distinct on (password) password from customers

select id from (select id into t from customers) s

select 1 union select 2 into t from customers

select id from orders tablesample pg_catalog.system (10)

select id from orders tablesample public.system (10)

select id from orders tablesample audit.bernoulli (10)

select id from orders o, payments p for update of o, p

select id from orders o, payments p for update of o, x

select id from orders o for update of o for share

select o.id from orders o, (select id from orders o) s for update of o

select id from customers where name = 'a' limit 5

select 1 from customers c, customers d where c.id = d.id
