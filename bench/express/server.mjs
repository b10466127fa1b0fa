// An Express server that takes GHL webhooks the way such servers are usually
// written: read the body, check its HMAC, look for an earlier copy, insert the
// event, send the job. Settings: DATABASE_URL, PORT, GHL_WEBHOOK_SECRET.
import { createHmac, timingSafeEqual } from 'node:crypto';
import express from 'express';
import PgBoss from 'pg-boss';
import postgres from 'postgres';

const { DATABASE_URL, PORT, GHL_WEBHOOK_SECRET } = process.env;
const queue = 'process-webhook-event';

const sql = postgres(DATABASE_URL, { max: 10, onnotice: () => {} });
await sql`
  create table if not exists webhook_events (
    id uuid primary key default gen_random_uuid(),
    received_at timestamptz not null default now(),
    source text not null,
    event_type text not null,
    entity_type text not null,
    entity_id text not null,
    payload_json jsonb not null,
    dedupe_key text not null unique,
    status text not null default 'pending',
    error_message text,
    processed_at timestamptz
  )`;
await sql`create index if not exists webhook_events_status on webhook_events (status)`;
await sql`create index if not exists webhook_events_source on webhook_events (source, status)`;
await sql`create index if not exists webhook_events_received on webhook_events (received_at)`;
await sql`create index if not exists webhook_events_entity on webhook_events (entity_type, entity_id)`;

const boss = new PgBoss({ connectionString: DATABASE_URL });
boss.on('error', (err) => console.error(err));
await boss.start();
await boss.createQueue(queue); // without it, pg-boss 10 drops what is sent

const app = express();
app.use(express.json({ limit: '1mb', verify: (req, _res, raw) => { req.raw = raw; } }));

function signed(req) {
  const sent = Buffer.from(req.get('X-GHL-Signature') ?? '', 'hex');
  const own = createHmac('sha256', GHL_WEBHOOK_SECRET).update(req.raw ?? '').digest();
  return sent.length === own.length && timingSafeEqual(sent, own);
}

app.get('/api/health', (_req, res) => res.json({ success: true }));

app.post('/api/webhooks/ghl', async (req, res, next) => {
  try {
    if (!signed(req)) return res.status(401).json({ success: false });
    const event = req.body;
    const key = `ghl:${event.webhookId}`;
    const [earlier] = await sql`select id from webhook_events where dedupe_key = ${key}`;
    if (earlier) return res.json({ success: true, status: 'duplicate', eventId: earlier.id });
    const [row] = await sql`
      insert into webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
      values ('ghl', ${event.type}, 'contact', ${event.id}, ${sql.json(event)}, ${key})
      on conflict (dedupe_key) do nothing
      returning id`;
    if (!row) return res.json({ success: true, status: 'duplicate' });
    await boss.send(queue, { eventId: row.id }, { retryLimit: 10, retryDelay: 60, retryBackoff: true });
    res.json({ success: true, status: 'accepted', eventId: row.id });
  } catch (err) {
    next(err);
  }
});

app.listen(Number(PORT), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
