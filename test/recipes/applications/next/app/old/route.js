import { origin } from '../origin.js';

export async function GET() {
  return Response.redirect(new URL('/new', await origin()));
}
