import { origin } from '../origin.js';

export async function GET(request) {
  return Response.json({ url: `${await origin()}/who`, address: request.headers.get('x-real-ip') });
}
