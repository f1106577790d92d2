import express from 'express';
import session from 'express-session';

const app = express();
if (process.env.STOCK === undefined) (await import('./settings.js')).default(app);
app.use(session({ secret: 'for tests alone', resave: false, saveUninitialized: true, cookie: { secure: true } }));

const base = (request) => `${request.protocol}://${request.host}`;
app.get('/who', (request, response) => response.json({ url: base(request) + request.url, address: request.ip }));
app.get('/old', (request, response) => response.redirect(`${base(request)}/new`));
app.post('/upload', async (request, response) => {
  let length = 0;
  for await (const part of request) length += part.length;
  response.send(String(length));
});
app.listen(Number(process.env.PORT), '127.0.0.1');
