// One crossing for a whole question: to another object, or to this object's own tables.

/** Calls a Durable Object: JSON text in, JSON text out. */
export async function callObject(namespace, name, request) {
  const stub = namespace.get(namespace.idFromName(name));
  const response = await stub.fetch("http://object/", { method: "POST", body: request });
  return response.text();
}

/** Runs one or more SQL statements; `values` are those of the last. The rows of the last, as JSON text. */
export function query(sql, statement, values) {
  return JSON.stringify(sql.exec(statement, ...values).toArray());
}
