export async function GET(request) {
  return new Response(request.url);
}
