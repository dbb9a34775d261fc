package detect

// modelForms are the keys of those who run language models, and of what is built around them. Each line names the page of
// the maker's documentation that has the form.
func modelForms() []form {
	const key = "API keys"
	return []form{
		// GroqDocs, "Quickstart: Create an API Key".
		{detector: "groq-key", maker: "Groq", what: key, prefix: "gsk_", body: []piece{run(alnum, 40, 0)}},
		// xAI Docs, "The Hitchhiker's Guide to Grok: Create an API key".
		{detector: "xai-key", maker: "xAI", what: key, prefix: "xai-", body: []piece{run(alnum, 64, 0)}},
		// Hugging Face Docs, "User access tokens"; tokens of organizations were api_org_.
		{detector: "huggingface-token", maker: "Hugging Face", what: "user and organization access tokens", prefix: "hf_", body: []piece{run(alnum, 30, 40)}},
		{detector: "huggingface-token", prefix: "api_org_", body: []piece{run(alnum, 30, 40)}},
		// OpenRouter Docs, "API Authentication".
		{detector: "openrouter-key", maker: "OpenRouter", what: key, prefix: "sk-or-v1-", body: []piece{exactly(hex, 64)}},
		// Perplexity Docs, "API Key Management".
		{detector: "perplexity-key", maker: "Perplexity", what: key, prefix: "pplx-", body: []piece{run(alnum, 40, 0)}},
		// Replicate Docs, "API tokens".
		{detector: "replicate-token", maker: "Replicate", what: "API tokens", prefix: "r8_", body: []piece{run(alnum, 37, 40)}},
		// Mistral AI Docs, "API keys": 32 letters and digits, so only behind the name.
		{detector: "mistral-key", maker: "Mistral AI", what: "API keys behind the name", word: "mistral", body: []piece{exactly(alnum, 32)}},
		// Cohere Docs, "API keys": 40 letters and digits, so only behind the name.
		{detector: "cohere-key", maker: "Cohere", what: "API keys behind the name", word: "cohere", body: []piece{exactly(alnum, 40)}},
		// Fireworks AI Docs, "API keys".
		{detector: "fireworks-key", maker: "Fireworks AI", what: key, prefix: "fw_", body: []piece{run(alnum, 22, 0)}},
		// Together AI Docs, "API keys".
		{detector: "together-key", maker: "Together AI", what: key, prefix: "tgp_v1_", body: []piece{run(dashed, 40, 0)}},
		// Cerebras Inference Docs, "Quickstart: Set up your API key".
		{detector: "cerebras-key", maker: "Cerebras", what: key, prefix: "csk-", body: []piece{run(alnum, 40, 0)}},
		// NVIDIA NIM for LLMs Docs, "Getting started: Generate an API key".
		{detector: "nvidia-key", maker: "NVIDIA", what: key, prefix: "nvapi-", body: []piece{run(dashed, 60, 0)}},
		// Eleven Labs Docs, "API authentication".
		{detector: "elevenlabs-key", maker: "ElevenLabs", what: key, prefix: "sk_", body: []piece{exactly(hex, 48)}},
		// LangSmith Docs, "Create an account and API key": personal and service keys.
		{detector: "langsmith-key", maker: "LangChain", what: "personal and service keys", prefix: "lsv2_pt_", body: []piece{exactly(hex, 32), {literal: "_", of: hex, least: 10, most: 10}}},
		{detector: "langsmith-key", prefix: "lsv2_sk_", body: []piece{exactly(hex, 32), {literal: "_", of: hex, least: 10, most: 10}}},
		// Langfuse Docs, "API keys": the secret one.
		{detector: "langfuse-key", maker: "Langfuse", what: "secret keys", prefix: "sk-lf-", body: uuid},
		// Pinecone Docs, "Manage API keys".
		{detector: "pinecone-key", maker: "Pinecone", what: key, prefix: "pcsk_", body: []piece{run(ident, 50, 0)}},
		// Tavily Docs, "Authentication".
		{detector: "tavily-key", maker: "Tavily", what: key, prefix: "tvly-", body: []piece{run(dashed, 32, 0)}},
		// Jina AI, "Embeddings API: API key & billing".
		{detector: "jina-key", maker: "Jina AI", what: key, prefix: "jina_", body: []piece{run(dashed, 48, 0)}},
		// Apify Docs, "API integration: API token".
		{detector: "apify-token", maker: "Apify", what: "API tokens", prefix: "apify_api_", body: []piece{run(alnum, 34, 0)}},
		// Kaggle, "Public API: Authentication".
		{detector: "kaggle-token", maker: "Kaggle", what: "API tokens", prefix: "KGAT_", body: []piece{exactly(hex, 32)}},
	}
}

// uuid is a UUID in text form (RFC 9562, section 4).
var uuid = []piece{
	exactly(anyHex, 8),
	{literal: "-", of: anyHex, least: 4, most: 4},
	{literal: "-", of: anyHex, least: 4, most: 4},
	{literal: "-", of: anyHex, least: 4, most: 4},
	{literal: "-", of: anyHex, least: 12, most: 12},
}
