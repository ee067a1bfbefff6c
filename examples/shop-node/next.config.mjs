// Hands on all requests below /flash to FlashReserve. Next.js adds X-Forwarded-For and X-Forwarded-Host.
const { API_URL = "http://localhost:3000" } = process.env;

export default {
  rewrites: async () => [{ source: "/flash/:path*", destination: `${API_URL}/flash/:path*` }],
};
