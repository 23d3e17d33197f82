// One crossing for a whole question: to another object, or to this object's own tables.

/** Asks a Durable Object; question and answer are bytes. */
export async function callObject(namespace, name, question) {
  return namespace.get(namespace.idFromName(name)).call(question);
}

/** Has a Durable Object forget all it knows. */
export async function forgetObject(namespace, name) {
  await namespace.get(namespace.idFromName(name)).forget();
}

/** Runs one or more SQL statements; `values` are those of the last. The rows of the last, as JSON text. */
export function query(sql, statement, values) {
  return JSON.stringify([...sql.exec(statement, ...values).raw()]);
}
