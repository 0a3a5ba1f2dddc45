// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The JSON schema of the records as the text of a TypeScript type: a union, as index.d.ts has it.
'use strict';

const fs = require('fs');
const path = require('path');

const SCHEMA = path.join(__dirname, '..', '..', 'doc', 'virt-uv-events.schema.json');
const NOT_OF_WATCH = ['stats'];

function schemaTypes() {
  const schema = JSON.parse(fs.readFileSync(SCHEMA, 'utf8'));
  const resolve = ({ $ref }) => schema.$defs[$ref.split('/').pop()];

  function object({ properties, required = [], additionalProperties }) {
    if (!properties) return `Record<string, ${type(additionalProperties)}>`;
    const member = ([name, value]) => `${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${type(value)}`;
    return `{ ${Object.entries(properties).map(member).join('; ')} }`;
  }

  function type(value) {
    if (value.$ref) return type(resolve(value));
    if ('const' in value) return JSON.stringify(value.const);
    if (value.enum) return value.enum.map((word) => JSON.stringify(word)).join(' | ');
    if (value.anyOf) return value.anyOf.map(type).join(' | ');
    if (Array.isArray(value.type)) return value.type.map((name) => type({ type: name })).join(' | ');
    if (value.type === 'array') return `Array<${type(value.items)}>`;
    if (value.type === 'object') return object(value);
    return value.type === 'integer' ? 'number' : value.type;
  }

  const records = schema.oneOf.filter((record) => !NOT_OF_WATCH.includes(record.$ref.split('/').pop()));
  return records.map(type).join('\n  | ');
}

module.exports = { schemaTypes };
