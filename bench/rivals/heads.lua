-- Request heads as different clients send them, for the scripts beside this one: `dofile` gives `batches(depth)`, a list of
-- strings of `depth` requests each, all made before the load begins. Each request carries a number of its own within the
-- list, so that a server which memoises heads wins nothing here.
--
-- Every head has at most sixteen fields, for that is all that may_minihttp takes, and the target is never in absolute form.

-- What follows `GET `, up to the line that ends the head: {path}, {host} and {n} are filled in. There are seventeen, which
-- shares no divisor with the depths one measures at: batches of sixteen all begin with another head.
local mix = {
   -- The least there is.
   "{path} HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {n}\r\n",
   "{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nX-Request-Id: {n}\r\n",
   -- A browser that opens a page.
   "{path}?page={n} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 "
      .. "Firefox/143.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: "
      .. "en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nCookie: session=8b3c7d2e9f104a56b7c8d9e0f1a2b3c4; "
      .. "theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
      .. "Sec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nPriority: u=0, i\r\n",
   -- A script in another browser, with client hints and cookies.
   "{path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\nsec-ch-ua-platform: \"Windows\"\r\nX-Requested-With: "
      .. "XMLHttpRequest\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
      .. "Chrome/141.0.0.0 Safari/537.36\r\nAccept: application/json, text/plain, */*\r\nsec-ch-ua: \"Google Chrome\";"
      .. "v=\"141\", \"Not?A_Brand\";v=\"8\", \"Chromium\";v=\"141\"\r\nsec-ch-ua-mobile: ?0\r\nSec-Fetch-Site: same-origin\r\n"
      .. "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example.com/catalogue/tools?sort=price\r\n"
      .. "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.7\r\nCookie: session={n}; "
      .. "_ga=GA1.2.1170924113.1730366119; consent=necessary%2Cstatistics; cart=b41d0e5f7a; theme=dark\r\n",
   -- An image on that page.
   "{path}?v={n} HTTP/1.1\r\nHost: img.example.com\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) "
      .. "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1\r\nAccept: image/webp,image/avif,"
      .. "image/jxl,image/*;q=0.8\r\nAccept-Language: fr-FR,fr;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: "
      .. "https://www.example.com/\r\nSec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n",
   -- Programs with a token.
   "{path} HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Go-http-client/1.1\r\nAccept: application/json\r\nAuthorization: "
      .. "Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWUsI"
      .. "mlhdCI6MTUxNjIzOTAyMn0.c2lnbmF0dXJlLW9mLXNpeHR5LWZvdXItYnl0ZXMtdGhhdC1pcy1vbmx5LWEtdGV4dA\r\nTraceparent: "
      .. "00-4bf92f3577b34da6a3ce929d{n}-00f067aa0ba902b7-01\r\nAccept-Encoding: gzip\r\n",
   "{path} HTTP/1.1\r\naccept: application/json\r\nuser-agent: axios/1.12.2\r\nx-api-key: 0f8fad5bd9cb469fa16570867728950e\r\n"
      .. "idempotency-key: {n}\r\naccept-encoding: gzip, compress, deflate, br\r\nhost: localhost:3000\r\n",
   "{path}?n={n} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: okhttp/5.1.0\r\nAccept-Encoding: gzip\r\nAuthorization: Basic "
      .. "YWxhZGRpbjpvcGVuc2VzYW1l\r\nConnection: Keep-Alive\r\n",
   -- Health checks.
   "{path} HTTP/1.1\r\nHost: 10.42.0.17:8080\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nX-Probe: {n}\r\n",
   "{path}?check={n} HTTP/1.1\r\nhost: 10.0.3.12:8080\r\nuser-agent: ELB-HealthChecker/2.0\r\naccept-encoding: gzip, compressed\r\n",
   -- Behind a reverse proxy.
   "{path} HTTP/1.1\r\nHost: intranet.example.org\r\nX-Real-IP: 203.0.113.195\r\nX-Forwarded-For: 203.0.113.195, 198.51.100.7\r\n"
      .. "X-Forwarded-Proto: https\r\nX-Forwarded-Host: intranet.example.org\r\nX-Forwarded-Port: 443\r\nX-Request-ID: "
      .. "7b0c1f5e{n}\r\nVia: 1.1 edge-fra-3\r\nUser-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
      .. "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n",
   -- Conditional, with a long query.
   "{path}?q=rust+http+server&sort=relevance&from=2024-01-01&to=2024-12-31&tag=a&tag=b&tag=c&cursor=eyJpZCI6{n}fQ%3D%3D HTTP/1.1"
      .. "\r\nHost: search.example.com\r\nUser-Agent: python-requests/2.32.5\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
      .. "Connection: keep-alive\r\nIf-None-Match: W/\"5f3a-18c2b9d1e40\"\r\n",
   -- A crawler.
   "{path} HTTP/1.1\r\nHost: cdn.example.com\r\nUser-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; "
      .. "+http://www.google.com/bot.html)\r\nAccept: text/html,application/xhtml+xml,application/signed-exchange;v=b3\r\n"
      .. "From: googlebot(at)googlebot.com\r\nAccept-Encoding: gzip, deflate, br\r\nX-Crawl: {n}\r\n",
   -- Many small fields, some of them empty or repeated.
   "{path} HTTP/1.1\r\nHost: metrics.example.com\r\nX-A: 1\r\nX-B: 2\r\nX-C:\r\nX-D: 4\r\nX-E: 5\r\nX-F: 6\r\nX-G: 7\r\nX-H: 8\r\n"
      .. "Accept: text/plain\r\nAccept: application/openmetrics-text\r\nX-Scrape: {n}\r\nCache-Control: no-cache\r\n",
   -- One very long one: single sign-on.
   "{path} HTTP/1.1\r\nHost: sso.example.com\r\nCookie: SAMLSession=" .. string.rep("PHNhbWxwOlJlc3BvbnNlIHhtbG5zOnNhbWxw", 24)
      .. "; n={n}\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0\r\n",
   -- Names in capitals, blanks around values.
   "{path} HTTP/1.1\r\nHOST:   legacy.example.com  \r\nUSER-AGENT:\tLegacyAgent/1.0 \r\nACCEPT:*/*\r\nPRAGMA: no-cache\r\n"
      .. "X-SERIAL: {n}\t\r\n",
   -- Percent-encoding away from what routes look at.
   "{path}?next=%2Faccount%2F..%2Fhome&state={n} HTTP/1.1\r\nHost: login.example.com\r\nUser-Agent: Dart/3.9 (dart:io)\r\n"
      .. "Accept-Encoding: gzip\r\nTE: trailers\r\nDNT: 1\r\nForwarded: for=192.0.2.60;proto=http;by=203.0.113.43\r\n",
}

-- Requests of a list: a longer one would only fall out of the generator's caches.
local request_count = 16 * #mix

local function request(number)
   local filled = {
      path = wrk.path,
      host = wrk.headers["Host"] or wrk.host,
      n = string.format("%08d", number),
   }
   local head = mix[number % #mix + 1]:gsub("{(%l+)}", filled)
   local lines = { "GET ", head }
   -- Fields given by `wrk -H` belong to every request; wrk puts `Host` among them itself.
   for name, value in pairs(wrk.headers) do
      if name ~= "Host" then
         lines[#lines + 1] = name .. ": " .. value .. "\r\n"
      end
   end
   lines[#lines + 1] = "\r\n"
   return table.concat(lines)
end

local function batches(depth)
   local list, number = {}, 0
   -- With as many batches as there are heads, every head stands at every place of a batch.
   for batch = 1, math.max(#mix, math.floor(request_count / depth)) do
      local requests = {}
      for index = 1, depth do
         requests[index] = request(number)
         number = number + 1
      end
      -- Where the depth is a multiple of the number of heads, batches would all be alike but for their numbers.
      if depth % #mix == 0 then
         number = number + 1
      end
      list[batch] = table.concat(requests)
   end
   return list
end

return { batches = batches }
