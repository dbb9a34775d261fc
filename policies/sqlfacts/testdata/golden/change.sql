insert into orders (customer_id, total) values (1, 2), ($1, 'x')

insert into customers values (1, 'n', 'e', 'p', 'secret') returning id, password

insert into orders (customer_id) select id from customers where email = 'x'

insert into orders (status, total) select 'new', $1 from payments

insert into orders default values returning *

insert into customers (id, password) values (1, 'a') on conflict (id) do update set password = excluded.password where customers.name = 'b'

insert into customers (id) values (1) on conflict do nothing

insert into audited (what) values ('x')

insert into ruled values (1)

with x as (select id from customers) insert into orders (id) select id from x

update customers set password = 'new' where id = 1

update orders set total = 5

update orders set total = total + $1 from customers c where c.id = customer_id and c.password = 'x' returning orders.id

update orders set (total, status) = (5, 'x')

update orders set (total, status) = (select id, name from customers where email = 'y')

update customers set name = 'a' returning old.password, new.*

update customers set name = 'a' returning to_json(old)

update pg_settings set setting = 'x' where name = 'search_path'

update vip_customers set name = 'x' where ctid = '(0,1)'

delete from orders

delete from orders using customers where customers.id = orders.customer_id and status = 'x'

delete from customer_view where id = 1

merge into orders o using customers c on c.id = o.customer_id when matched and o.status = 'x' then update set total = 1 when matched then delete when not matched then insert (id, status) values (5, 'new')

merge into orders o using payments p on p.order_id = o.id when matched then do nothing

with d as (delete from payments returning *), i as (insert into orders (id) select id from d returning id) select count(*) from i

insert into gone.table (x) values (1)

insert into orders (id) values (1, 'x')

insert into orders (id) select id, 'x' from customers

merge into orders o using payments p on true when not matched then insert values (1, 2, 3, 'x')

update customers set (name, password) = row('b')

update customers set (name, password) = row('b', 'a', 'c')

update customers set note[customer_password(1)] = 'x'

update customers set (name, password) = (select lower_user('b'), 'a')

merge into newer n using payments p on true when not matched then insert values (1)

update orders set (total) = row(z.*, (select max(amount) from payments)) from (select) z

update customers set (name, password) = row(z.*, 'b', lower_user('a')) from (select) z
