// Reads an OpenAPI document from standard input and writes the Postman collection made from it.
// Where an enum has several values the converter takes one by chance: let it be the same each time. It keeps
// the function that is there when it is loaded.
Math.random = () => 0.5;

const { readFileSync } = require('node:fs');
const converter = require('openapi-to-postmanv2');

const options = {
  folderStrategy: 'Tags',
  parametersResolution: 'Example',
  enableOptionalParameters: false,
  indentCharacter: 'Space',
};

converter.convertV2({ type: 'string', data: readFileSync(0, 'utf8') }, options, (error, result) => {
  if (error || !result.result) {
    console.error(error || result.reason);
    process.exit(1);
  }
  process.stdout.write(JSON.stringify(result.output[0].data));
});
