// Starts the documentation page. Its policy forbids scripts inside the page, so this is a file.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  // By default the description would be sent to a validator elsewhere.
  validatorUrl: null,
});
