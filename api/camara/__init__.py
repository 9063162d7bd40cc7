"""CAMARA Quality-on-Demand and QoS Profiles 1.1.0 (Commonalities 0.6) over carelane's intents."""
