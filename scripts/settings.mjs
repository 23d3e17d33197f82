// The settings of the edge, by name. worker/src/config/ says what each one means and checks it.

/** Values that must not be printed or written to a file that others may read. */
export const SECRETS = [
  "JWT_SECRET",
  "JWT_SECRET_PREVIOUS",
  "ADMIN_PASSWORD",
  "SERVICE_TOKEN",
  "MAIL_PASSWORD",
  "OTEL_EXPORTER_OTLP_HEADERS",
];

/** Every setting: the environment variables that `make run` hands on when they are there. */
export const SETTINGS = [
  "BACKENDS",
  ...SECRETS,
  "ADMIN_EMAIL",
  "ALLOWED_ORIGINS",
  "ORGANIZATION",
  "API_TOKEN_ORGANIZATIONS",
  "REGISTRATION",
  "MAIL_URL",
  "MAIL_FROM",
  "MAIL_USERNAME",
  "SSO_TENANTS",
  "SSO_CLIENT_ID",
  "SSO_AUTHORITY",
  "ACCESS_TOKEN_SECS",
  "REFRESH_TOKEN_SECS",
  "REFRESH_GRACE_MS",
  "CODE_LIFETIME_SECS",
  "CODE_TRIES",
  "MAX_SESSIONS",
  "MAX_API_TOKENS",
  "RATE_LIMIT_RPM",
  "RATE_LIMIT_TPM",
  "ADMISSION_LEASE_MS",
  "PUBLIC_RATE_LIMIT_RPM",
  "PASSWORD_RATE_LIMIT_RPM",
  "MAIL_LIMIT_PER_HOUR",
  "HEARTBEAT_MS",
  "CONNECT_TIMEOUT_MS",
  "PROGRESS_TIMEOUT_MS",
  "TOTAL_TIMEOUT_MS",
  "HUNG_TIMEOUT_MS",
  "BACKEND_ATTEMPTS",
  "RETRY_BURST",
  "BREAKER_FAILURES",
  "BREAKER_OPEN_MS",
  "HEADER_LIMIT_BYTES",
  "NESTING_LIMIT",
  "BODY_LIMIT_BYTES",
  "ANSWER_LIMIT_BYTES",
  "FIRST_BYTE_TIMEOUT_MS",
  "STALL_TIMEOUT_MS",
  "CATALOG_TTL_MS",
  "PROBE_TIMEOUT_MS",
  "EVENT_LIMIT_BYTES",
  "CLIENT_IP_HEADER",
  "LOGIN_FREE_FAILURES",
  "LOGIN_MAX_DELAY_SECS",
  "AUDIT_RETENTION_DAYS",
  "AUDIT_LIMIT_EVENTS",
  "REQUEST_LOG",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_TRACES_SAMPLER_ARG",
];

/**
 * The bindings that `api_key` members of BACKENDS name, with their values, from `sources` in order.
 * A list that is not JSON names none: the edge itself says what is wrong with it. Neither is a name
 * bound that has no value: the edge says so too, naming it.
 */
export function namedSecrets(backends, ...sources) {
  let list;
  try {
    list = JSON.parse(backends);
  } catch {
    return {};
  }
  const secrets = {};
  for (const name of Array.isArray(list) ? list.map((backend) => backend?.api_key) : []) {
    if (typeof name !== "string" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
    const value = sources.map((source) => source[name]).find((value) => value !== undefined);
    if (value !== undefined) secrets[name] = value;
  }
  return secrets;
}
