// Swagger UI on this server's own document; nothing is sent to a validator elsewhere.
window.ui = SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
