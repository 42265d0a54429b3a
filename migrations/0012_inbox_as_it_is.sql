-- A batch in the inbox is there for seconds: to compress it first takes a fifth of what storing its pings does.

ALTER TABLE ping_batch ALTER payload SET STORAGE EXTERNAL;
