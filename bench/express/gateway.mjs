// An Express gateway before another server, as one writes it with fetch: check
// the bearer key, fetch, pass on the JSON. Settings: UPSTREAM_URL, PORT, KEY.
import express from 'express';

const { UPSTREAM_URL, PORT, KEY } = process.env;

const app = express();
app.use(express.json({ limit: '1mb' }));

app.get('/health', (_req, res) => res.json({ success: true }));

app.use('/api', (req, res, next) => {
  if (req.get('Authorization') !== `Bearer ${KEY}`) return res.status(401).json({ success: false });
  next();
});

app.get('/api/verity/proxy/*', async (req, res, next) => {
  try {
    const answer = await fetch(new URL(req.params[0], UPSTREAM_URL));
    res.status(answer.status).type('json').send(await answer.text());
  } catch (err) {
    next(err);
  }
});

app.post('/api/verity', async (req, res, next) => {
  const began = Date.now();
  const { endpoint, method } = req.body;
  try {
    const answer = await fetch(new URL(endpoint, UPSTREAM_URL), { method });
    const data = await answer.json();
    const meta = { endpoint, method, status: answer.status, duration: Date.now() - began, timestamp: new Date().toISOString() };
    res.status(answer.status).json({ success: answer.ok, data, meta });
  } catch (err) {
    next(err);
  }
});

app.listen(Number(PORT), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
