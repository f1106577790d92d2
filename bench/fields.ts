/**
 * What a browser, an application and the services before them send with a request: 99 fields, 100 with Host, some
 * 5 KiB. None of them is about the connection, conditional, or replaced by a proxy.
 */
export const requestFields: readonly string[] = `
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,fr;q=0.6
Authorization: Bearer ${filler(340, 'eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjdmM2UifQ.')}
Baggage: tenant=blue,region=eu-central,release=2026.11.3,experiment=checkout-b
Cache-Control: no-cache
Cookie: session=${filler(260, 'a7Qm')}; consent=${filler(180, 'CPz1')}; _cid=${filler(60, '1.2.')}; cart=${filler(90, '9f')}
Device-Memory: 8
DNT: 1
Downlink: 9.85
DPR: 2
ECT: 4g
Origin: https://shop-000000.bench.example
Pragma: no-cache
Priority: u=0, i
Purpose: prefetch
Referer: https://shop-000000.bench.example/catalogue/winter/coats?page=3&order=price&colour=dark-green
RTT: 50
Save-Data: on
Sec-CH-DPR: 2
Sec-CH-Device-Memory: 8
Sec-CH-Downlink: 9.85
Sec-CH-ECT: 4g
Sec-CH-Prefers-Color-Scheme: dark
Sec-CH-Prefers-Contrast: no-preference
Sec-CH-Prefers-Reduced-Data: no-preference
Sec-CH-Prefers-Reduced-Motion: no-preference
Sec-CH-Prefers-Reduced-Transparency: no-preference
Sec-CH-RTT: 50
Sec-CH-UA: "Chromium";v="146", "Not)A;Brand";v="24", "Bench";v="146"
Sec-CH-UA-Arch: "x86"
Sec-CH-UA-Bitness: "64"
Sec-CH-UA-Form-Factors: "Desktop"
Sec-CH-UA-Full-Version: "146.0.7712.88"
Sec-CH-UA-Full-Version-List: "Chromium";v="146.0.7712.88", "Not)A;Brand";v="24.0.0.0", "Bench";v="146.0.7712.88"
Sec-CH-UA-Mobile: ?0
Sec-CH-UA-Model: ""
Sec-CH-UA-Platform: "Linux"
Sec-CH-UA-Platform-Version: "6.18.44"
Sec-CH-UA-WoW64: ?0
Sec-CH-Viewport-Height: 1279
Sec-CH-Viewport-Width: 2495
Sec-CH-Width: 1248
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: same-origin
Sec-Fetch-User: ?1
Sec-GPC: 1
Sec-Purpose: prefetch
Uber-Trace-Id: 4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1
X-Cloud-Trace-Context: 4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36
Viewport-Width: 2495
Width: 1248
X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1
X-Api-Version: 2026-11-01
X-App-Build: 48211
X-App-Name: storefront
X-App-Version: 14.3.1
X-B3-ParentSpanId: 05e3ac9a4f6e3b90
X-B3-Sampled: 1
X-B3-SpanId: e457b5a2e4d86bd1
X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7
X-Cart-Id: 7b0f2d0e-63cb-4f2f-9df1-0d4f2f1f7a55
X-Cdn-Country: DE
X-Cdn-Loop: edge; loops=1
X-Cdn-Pop: fra-17
X-Cdn-Ray: 8e4f1c2b3a4d5e6f-FRA
X-Client-Data: ${filler(96, 'CIm2yQEIpbbJAQ')}
X-Client-Id: 3f0c8a8e-1f0b-4b8a-9b67-2c5a3c9c1d20
X-Client-Tls: TLSv1.3, TLS_AES_128_GCM_SHA256
X-Correlation-Id: 0e1b9a70-7e58-4a7f-8f0e-6f8d6a4f2b13
X-Csrf-Token: ${filler(64, 'k2')}
X-Currency: EUR
X-Datadog-Origin: rum
X-Datadog-Parent-Id: 4820572348902345012
X-Datadog-Sampling-Priority: 1
X-Datadog-Trace-Id: 7309184502348712340
X-Device-Class: desktop
X-Experiment-Bucket: checkout-b=2, search-rank=7, banner=0
X-Feature-Flags: ${filler(120, 'new-cart,')}
X-Geo-City: Frankfurt am Main
X-Geo-Latitude: 50.1109
X-Geo-Longitude: 8.6821
X-Geo-Region: HE
X-Http-Method-Override: GET
X-Idempotency-Key: 6c1f6a1e-1e5c-4a3c-8e6f-7d1a4a0a9e77
X-Locale: de-DE
X-Page-Type: category
X-Requested-With: XMLHttpRequest
X-Session-Age: 1834
X-Shop-Channel: web
X-Shop-Theme: winter-2026
X-Tenant-Id: blue
X-Time-Zone: Europe/Berlin
X-Traffic-Class: organic
X-User-Segment: returning, newsletter, high-value
X-Wap-Profile: none
`
  .trim()
  .split('\n');

/** Of a response: with Server, Date, Content-Type and Content-Length `responseFieldCount`, and Connection on the way. */
export const responseFields: Readonly<Record<string, string>> = {
  'Accept-CH': 'Sec-CH-DPR, Sec-CH-Viewport-Width, Sec-CH-Prefers-Color-Scheme',
  Age: '0',
  'Cache-Control': 'private, max-age=0, must-revalidate',
  'Content-Language': 'de',
  'Content-Security-Policy': "default-src 'self'; img-src 'self' data: https://images.bench.example; object-src 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  Link: '</style.css>; rel=preload; as=style, </shop.js>; rel=preload; as=script',
  'Permissions-Policy': 'geolocation=(), camera=(), microphone=()',
  'Referrer-Policy': 'strict-origin-when-cross-origin',
  'Server-Timing': 'app;dur=12.4, db;dur=3.1, cache;desc=miss',
  'Set-Cookie': `session=${filler(120, 'a7Qm')}; Path=/; Secure; HttpOnly; SameSite=Lax`,
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  Vary: 'Accept-Encoding, Accept-Language',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'SAMEORIGIN',
  'X-Trace-Id': '80f198ee56343ba864fe8b2a57d3eff7',
};

export const responseFieldCount = Object.keys(responseFields).length + 4;

/** So many characters of a repeated text. */
function filler(chars: number, text: string): string {
  return text.repeat(Math.ceil(chars / text.length)).slice(0, chars);
}
