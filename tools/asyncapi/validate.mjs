// Is this AsyncAPI document valid, with every schema that it refers to? Prints each finding; the exit code is 1 after an error.
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { DiagnosticSeverity, Parser, fromFile } from "@asyncapi/parser";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node validate.mjs FILE");
  process.exit(2);
}

const avro = AvroSchemaParser();
const parser = new Parser();
parser.registerSchemaParser(avro);
const { document, diagnostics } = await fromFile(parser, path).parse();

for (const { severity, range, path: place, code, message } of diagnostics) {
  console.log(`${path}:${range.start.line + 1}: ${DiagnosticSeverity[severity]} ${code} at /${place.join("/")}: ${message}`);
}
let errors = diagnostics.filter(({ severity }) => severity === DiagnosticSeverity.Error).length;

// Of documents of version 3 the parser itself asks only for the shape of an Avro schema: names of types and defaults are asked here.
let schemas = 0;
for (const message of document?.allMessages() ?? []) {
  const { schemaFormat, "x-parser-original-payload": schema } = message.json().payload ?? {};
  if (!avro.getMimeTypes().includes(schemaFormat)) continue;
  schemas += 1;
  const place = ["components", "messages", message.id(), "payload", "schema"];
  const found = schema === undefined ? [{ message: "has not been read" }] : await avro.validate({ data: schema, path: place });
  for (const problem of found) {
    errors += 1;
    console.log(`${path}: Error avro at /${place.join("/")}: ${problem.message}`);
  }
}

if (errors > 0 || document === undefined) {
  console.error(`${path}: not valid; errors: ${errors}`);
  process.exit(1);
}
const [channels, messages] = [document.channels().length, document.allMessages().length];
console.log(`${path}: valid; channels: ${channels}, messages: ${messages}, of them in Avro: ${schemas}`);
