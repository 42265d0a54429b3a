// Starts the documentation page. Its policy forbids scripts inside the page, so this is a file.
SwaggerUIBundle({
  // Without the name and key that an address may hold: those may not be fetched.
  url: `${location.origin}/openapi.json`,
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  // By default the description would be sent to a validator elsewhere.
  validatorUrl: null,
});
